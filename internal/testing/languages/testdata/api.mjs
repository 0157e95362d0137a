// Two programs that use multipeer-cli api without a library: they connect, and exchange a message, a stream and a file.
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import assert from "node:assert";
class Engine {
  constructor() {
    this.process = spawn(process.env.MULTIPEER_CLI, ["api"], { stdio: ["pipe", "pipe", "inherit"] });
    this.calls = new Map();
    this.waiting = [];
    this.last = 0;
    createInterface({ input: this.process.stdout }).on("line", (line) => {
      const m = JSON.parse(line);
      if (m.method) this.notified(m);
      else (m.error ? this.calls.get(m.id)[1](new Error(m.error.message)) : this.calls.get(m.id)[0](m.result));
    });
  }
  notified(m) {
    const i = this.waiting.findIndex((w) => w.method === m.method);
    if (i >= 0) this.waiting.splice(i, 1)[0].resolve(m.params);
  }
  next(method) {
    return new Promise((resolve) => this.waiting.push({ method, resolve }));
  }
  call(method, params = {}) {
    const id = ++this.last;
    this.process.stdin.write(JSON.stringify({ jsonrpc: "2.0", id, method, params }) + "\n");
    return new Promise((resolve, reject) => this.calls.set(id, [resolve, reject]));
  }
  end() {
    this.process.stdin.end();
    return new Promise((resolve) => this.process.on("exit", resolve));
  }
}
const folder = process.argv[2];
const [anna, ben] = [new Engine(), new Engine()];
const both = [anna.next("peer_added"), ben.next("peer_added")];
for (const [e, name] of [[anna, "Anna"], [ben, "Ben"]])
  await e.call("start", { name, service: `n${process.pid}`, interfaces: ["lo"], invite: "everyone", accept: "everyone" });
const [{ peer: b }] = await Promise.all(both);
const message = ben.next("message");
await anna.call("send", { to: [b.id], body: { text: "hello" } });
assert.deepEqual((await message).body, { text: "hello" });
await ben.call("handle_stream", { name: "log" });
const taken = ben.next("stream");
const { stream } = await anna.call("open_stream", { peer: b.id, name: "log" });
await anna.call("write", { stream, data: Buffer.from("bytes").toString("base64") });
const read = await ben.call("read", { stream: (await taken).stream });
assert.equal(Buffer.from(read.data, "base64").toString(), "bytes");
writeFileSync(`${folder}/notes.txt`, "notes");
await ben.call("handle_offers");
const offer = ben.next("offer");
const { transfer } = await anna.call("offer", { peer: b.id, paths: [`${folder}/notes.txt`] });
await ben.call("accept_offer", { offer: (await offer).offer, dir: `${folder}/inbox` });
assert.equal((await anna.call("wait", { transfer: transfer.id })).transfer.state, "delivered");
assert.equal(readFileSync(`${folder}/inbox/notes.txt`, "utf8"), "notes");

await anna.call("end");
assert.deepEqual([await anna.end(), await ben.end()], [0, 0]);
