from .archive import pack as pack
from .opening import open_archive as open_archive
from .repeating import repeat as repeat
from .tables import results_text as results_text
