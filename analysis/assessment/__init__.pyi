from .many_laws import (
    LawBatch as LawBatch,
    assess_laws as assess_laws,
    law_batch as law_batch,
)
from .one_law import Assessment as Assessment, Plan as Plan, assess as assess
from .quick import Found as Found, Point as Point, quick_figures as quick_figures
