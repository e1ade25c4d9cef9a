"""Publishing: model card, push, export."""
