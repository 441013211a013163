"""ONNX graphs -> something that runs: here ONNX Runtime.

runner   one interface for all backends, and the choice between those at hand
"""
