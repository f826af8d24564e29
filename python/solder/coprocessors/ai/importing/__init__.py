"""Import of people's models: a float file becomes an integer artefact and a report of how close the two are.

    read        an ONNX file under limits              encoder     BERT-like weights as an ONNX graph
    rewrite     classical operators as plain ones      tree_files  XGBoost's and LightGBM's own files
    float_run   ONNX Runtime: shapes, ranges, answers  recognise   layers (patterns, functions)
    calibrate   ranges of values                       equalise    channels between products, in float
    lower       layers as integer nodes (forms)        report      accuracy layer by layer

Needs the extra ``models``; what runs an artefact does not need this folder.
"""

from solder.coprocessors.ai.importing.importer import Imported, Settings, import_model
from solder.coprocessors.ai.importing.report import ImportReport, LayerReport

__all__ = ["ImportReport", "Imported", "LayerReport", "Settings", "import_model"]
