"""The command, as the console script and `python -m hf_embeddings` start it: Ctrl-C is one line from here on."""

from hf_embeddings.cli.interruption import listen


def main() -> None:
    """Run the command; whoever interrupts it while Python still imports is answered, too."""
    listen()
    from hf_embeddings.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
