"""The chat of the Pythonista module: python -m multipeer."""

from . import MultipeerConnectivity


def main() -> None:
    my_name = input("Name: ")
    mc = MultipeerConnectivity(display_name=my_name, service_type="chat")
    try:
        while True:
            mc.send(input("Message: "))
    except (EOFError, KeyboardInterrupt):
        print()
    finally:
        mc.end_all()


if __name__ == "__main__":
    main()
