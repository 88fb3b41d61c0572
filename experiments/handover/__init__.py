"""How do results leave this machine, and how does another person check them?

``tables`` prints what was found as a paper needs it, ``archive`` packs a run,
``opening`` reads such an archive of a stranger's, and ``repeating`` runs it again and
says what differs: only that shows more than that it is whole.

An archive is an RO-Crate [S+22]: files and a description of them in JSON-LD, here in
one ZIP file.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
