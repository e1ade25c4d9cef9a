"""Models as ONNX: one file, or a directory that servers load."""
