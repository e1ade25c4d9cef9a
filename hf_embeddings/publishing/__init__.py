"""Publishing: model card, push."""
