"""Models as integer graphs: the same bits on every machine. ``docs/integer-graphs.md`` is the specification.

``graph`` is the graph as data, ``artefact`` the file, ``reference`` the specification as code. NumPy is needed for all,
and comes with the extra ``ai``; without it the import of this package raises InputError.
"""

from importlib.util import find_spec

from solder.errors import InputError

if find_spec("numpy") is None:
    raise InputError("models need the package 'numpy': pip install 'solder-evm[ai]'")
