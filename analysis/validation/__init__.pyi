from .check import Case as Case, Check as Check
from .suite import cases as cases, failures as failures
