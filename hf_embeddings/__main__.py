"""`python -m hf_embeddings`: the command, also where its script is not on the path."""

from hf_embeddings.cli.main import main

if __name__ == "__main__":
    main()
