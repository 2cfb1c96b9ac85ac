"""Networks of ncnn, read from their .param and .bin as ONNX graphs."""
