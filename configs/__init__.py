"""The configs that come with the package: architectures and runs."""
