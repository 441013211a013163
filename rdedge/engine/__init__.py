"""ONNX graphs -> something that runs, by one interface.

runner            the interface, which backends can run here, and the choice between them
onnx_runtime      ONNX Runtime with its TensorRT, CUDA or CPU provider
tensorrt_runner   an engine of TensorRT, with its memory (cudart)
engines           an engine for one half of a codec: from the cache, or built (build) and kept
cache             where engines lie, and which of them may be loaded
part              one half of a codec: its graph, and the shapes that it will be given
graph             what must be known of an ONNX file without the onnx package
safety            what graphs may hold, where the onnx package is installed
tensorrt          which TensorRT is installed, and loading it
cuda              what the CUDA driver says of the GPU
notice            what is said once on stderr
"""
