"""The report of a study: tables, plots and one self-contained page, drawn anew from its folder."""

from recbole_micro.studies.report.settings import write_tuned
from recbole_micro.studies.report.writing import write

__all__ = ["write", "write_tuned"]
