"""How do results leave this machine, and how does another person check them?

``tables`` prints what was found as a paper needs it, ``archive`` packs a run so that it
can be verified without trust in who sends it, ``opening`` reads such an archive of a
stranger's, and ``repeating`` runs it again and says what differs.

An archive is an RO-Crate: a folder of files and a description of them in JSON-LD, here
in one ZIP file. Source: S. Soiland-Reyes et al., Packaging research artefacts with
RO-Crate, Data Science 5(2), 2022.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
