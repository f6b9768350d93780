"""An export is a network as files that a stranger can use without netwright: ``model.py``, weights, ONNX.

Public names: ``files`` has ``conv_files`` and ``cell_files``; ``conv``, ``cell`` and ``onnx_file`` write its parts.
"""
