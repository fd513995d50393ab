"""What runs a network: PyTorch, OpenVINO or ONNX Runtime."""
