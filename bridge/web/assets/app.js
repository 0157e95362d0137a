(() => {
  'use strict';
  const $ = (id) => document.getElementById(id);
  const name = document.body.dataset.name;
  const say = (key, more) => {
    let s = (T[key] || T.failed).split('{name}').join(name);
    for (const k in more || {}) s = s.split('{' + k + '}').join(more[k]);
    return s;
  };
  document.documentElement.classList.add('js');

  const shared = $('shared');
  if (shared) {
    const copy = $('copy');
    copy.hidden = false;
    copy.onclick = () => { // navigator.clipboard does not exist over plain HTTP
      shared.select();
      if (document.execCommand('copy')) copy.textContent = T.copied;
    };
  }
  if (!$('send')) return;

  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const size = (n) => {
    let u = 0;
    while (n >= 999.5 && u < 4) { n /= 1000; u++; }
    return (u && n < 9.95 ? n.toFixed(1) : Math.round(n)) + ' ' + units[u];
  };
  const state = $('state'), bar = $('bar');
  const queued = [];
  queued.lost = 0;
  const unqueue = () => {
    const items = queued.splice(0);
    items.lost = queued.lost;
    queued.lost = 0;
    return items;
  };
  let job = null; // {items, offer, total, done, cancelled}

  const show = (text, how) => {
    state.textContent = text;
    state.className = how || '';
  };
  const busy = (on) => {
    $('files').disabled = $('dir').disabled = on;
    for (const id of ['choose', 'choosedir']) $(id).classList.toggle('hint', on);
    bar.hidden = !on;
    $('cancel').hidden = !on;
    $('keepopen').hidden = !on;
    $('retry').hidden = true;
  };
  const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
  const ask = async (method, path, body) => {
    for (let n = 0; ; n++) {
      try {
        const r = await fetch(path, {method, body, headers: {Accept: 'application/json'}});
        return [r.status, await r.json().catch(() => ({}))];
      } catch (e) { // no network
        if (n === 20 || job && job.cancelled) throw e;
        await sleep(Math.min(500 * (n + 1), 5000));
      }
    }
  };

  // put sends one file from an offset. It does not use fetch, which cannot report upload progress.
  const put = (path, file, from, moved) => new Promise((done) => {
    const x = new XMLHttpRequest();
    x.open('PUT', path + '?from=' + from);
    x.upload.onprogress = (e) => moved(from + e.loaded);
    x.onload = () => {
      let answer = {};
      try { answer = JSON.parse(x.responseText); } catch (e) { /* not JSON: keep the empty answer */ }
      done([x.status, answer.error]);
    };
    x.onerror = x.onabort = () => done([0, 'interrupted']);
    job.requests.add(x);
    x.onloadend = () => job && job.requests.delete(x);
    x.send(from ? file.slice(from) : file);
  });

  // sendFile sends one file, and resumes after a broken connection.
  const sendFile = async (n, moved) => {
    const path = 'put/' + job.offer + '/' + n;
    let from = 0;
    for (let tries = 0; ; tries++) {
      const [status, why] = await put(path, job.items[n].file, from, moved);
      if (status === 200) return;
      if (job.cancelled) throw 'cancel';
      const again = status === 0 || why === 'interrupted' || why === 'busy';
      if (!again || tries === 30) throw why || 'failed';
      await sleep(Math.min(500 * (tries + 1), 5000));
      const [there, answer] = await ask('GET', path);
      if (there !== 200) throw answer.error || 'ended';
      from = answer.arrived;
    }
  };

  const run = async (items) => {
    const total = items.reduce((sum, i) => sum + i.file.size, 0);
    job = {items, total, done: items.map(() => 0), cancelled: false, requests: new Set()};
    busy(true);
    bar.removeAttribute('value');
    show(say('waiting'));
    let left = 0;
    try {
      const files = items.map((i) => ({path: i.path, size: i.file.size, modified: i.file.lastModified || 0}));
      let [status, answer] = await ask('POST', 'offer', JSON.stringify({files}));
      if (status !== 200) throw answer.error || 'failed';
      job.offer = answer.offer;
      for (answer = {state: 'waiting'}; answer.state === 'waiting';) {
        [status, answer] = await ask('GET', 'offer/' + job.offer);
        if (job.cancelled) throw 'cancel';
        if (status !== 200) throw answer.error || 'ended';
      }
      if (answer.state !== 'accepted') throw 'declined';
      let next = 0, failed = '';
      const worker = async () => {
        while (next < items.length && !job.cancelled) {
          const n = next++;
          try {
            await sendFile(n, (bytes) => {
              job.done[n] = bytes;
              const sum = job.done.reduce((a, b) => a + b, 0);
              bar.value = total ? Math.min(sum / total, 1) : 1;
              show(say('sending', {done: size(Math.min(sum, total)), total: size(total)}));
            });
            items[n].sent = true;
          } catch (why) {
            failed = why;
            if (why === 'ended' || why === 'cancel' || why === 'disk-full') return;
          }
        }
      };
      await Promise.all([worker(), worker()]);
      if (job.cancelled) throw 'cancel';
      [status, answer] = await ask('POST', 'finish/' + job.offer);
      left = items.filter((i) => !i.sent).length;
      if (left) throw failed || 'failed';
      if (status !== 200 || answer.error) { // they may not survive: send all of them again
        for (const i of items) i.sent = false;
        throw answer.error || 'failed';
      }
      busy(false);
      if (items.lost) show(say('done-some', {n: items.lost}), 'problem');
      else show(say('done'), 'done');
    } catch (why) {
      const cancelled = job.cancelled, rest = unqueue();
      busy(false);
      if (cancelled) {
        show('');
      } else {
        const reason = typeof why === 'string' ? say(why) : say('interrupted');
        show(left ? reason + ' ' + say('done-some', {n: left}) : reason, 'problem');
        $('retry').hidden = false;
        $('retry').onclick = () => start(items.filter((i) => !i.sent).concat(rest));
      }
    }
    job = null;
    if (queued.length || queued.lost) start(unqueue());
  };

  const start = (items) => {
    if (job) { // they follow when the upload is over
      queued.push(...items);
      queued.lost += items.lost || 0;
      return;
    }
    if (!items.length) return items.lost ? show(say('done-some', {n: items.lost}), 'problem') : show(say('nothing'));
    const seen = new Set();
    for (const i of items) { // a page may give two files the same name
      let path = i.path;
      for (let n = 2; seen.has(path); n++) path = i.path.replace(/(\.[^./]*)?$/, ' (' + n + ')$1');
      seen.add(path);
      i.path = path;
    }
    run(items);
  };
  const listed = (list) => Array.from(list, (file) => ({file, path: file.webkitRelativePath || file.name}));
  $('files').onchange = (e) => { start(listed(e.target.files)); e.target.value = ''; };
  $('files').onfocus = () => $('choose').classList.add('focus');
  $('files').onblur = () => $('choose').classList.remove('focus');
  $('dir').onchange = (e) => { start(listed(e.target.files)); e.target.value = ''; };
  if ($('files').files.length) $('files').onchange({target: $('files')}); // chosen before this script came
  $('plain').hidden = true;
  $('upload').onsubmit = (e) => e.preventDefault();
  const phone = /iPhone|iPad|Android/.test(navigator.userAgent);
  $('originals').hidden = !/iPhone|iPad/.test(navigator.userAgent);
  $('drop').hidden = phone;
  if ('webkitdirectory' in $('dir')) {
    $('choosedir').hidden = false;
    $('choosedir').onclick = () => $('dir').click();
  }
  $('cancel').onclick = () => {
    if (!job) return;
    job.cancelled = true;
    for (const x of job.requests) x.abort();
    if (job.offer) fetch('cancel/' + job.offer, {method: 'POST'}).catch(() => {});
  };

  // Dropped files and folders.
  const walk = (entry, out) => new Promise((done) => {
    const failed = () => { out.lost++; done(); }; // it cannot be read
    if (entry.isFile) return entry.file((file) => { out.push({file, path: entry.fullPath.replace(/^\//, '')}); done(); }, failed);
    const reader = entry.createReader(), all = [];
    const more = () => reader.readEntries(async (some) => {
      if (some.length) { all.push(...some); return more(); }
      for (const e of all) await walk(e, out);
      done();
    }, failed);
    more();
  });
  const card = $('send');
  for (const kind of ['dragover', 'dragenter']) card.addEventListener(kind, (e) => { e.preventDefault(); card.classList.add('over'); });
  card.addEventListener('dragleave', () => card.classList.remove('over'));
  card.addEventListener('drop', async (e) => {
    e.preventDefault();
    card.classList.remove('over');
    const entries = Array.from(e.dataTransfer.items || [], (i) => i.webkitGetAsEntry && i.webkitGetAsEntry()).filter(Boolean);
    if (!entries.length) return start(listed(e.dataTransfer.files));
    const out = [];
    out.lost = 0;
    for (const entry of entries) await walk(entry, out);
    start(out);
  });

  $('say').onsubmit = async (e) => {
    e.preventDefault();
    const text = $('text').value;
    if (!text.trim()) return;
    const [status] = await ask('POST', 'text', new URLSearchParams({text})).catch(() => [0]);
    if (status === 200) $('text').value = '';
    $('said').textContent = say(status === 200 ? 'text-sent' : status === 413 ? 'text-too-long' : 'interrupted');
  };
  window.addEventListener('beforeunload', (e) => { if (job) e.preventDefault(); });
})();
