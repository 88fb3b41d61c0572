from .answers import (
    Explorer as Explorer,
    Moves as Moves,
    Seen as Seen,
    opened as opened,
)
