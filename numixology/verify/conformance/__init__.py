"""The conformance kit: is another implementation of these layers right, and if not, why not?"""

from ...errors import EXIT_CODES
from .adapter import Adapter
from .bugs import BUGS, Bug
from .cases import KERNEL_KINDS, KINDS, Case, Truth, cases_of, make_case, truth_of
from .diagnosis import diagnose
from .formats import FORMATS, Format
from .html import html_report
from .kit import conform
from .listing import overview
from .memory import LAYOUTS
from .results import compare_vectors
from .scales import PROFILES
from .stages import OPTIONS, STAGES, Stage
from .textbook import Textbook
from .vectors import Written, read_vectors, result_key, write_vectors
from .verdicts import Comparison, ConformanceReport, Diagnosis, StageReport

__all__ = [
    "BUGS",
    "EXIT_CODES",
    "FORMATS",
    "KERNEL_KINDS",
    "KINDS",
    "LAYOUTS",
    "OPTIONS",
    "PROFILES",
    "STAGES",
    "Adapter",
    "Bug",
    "Case",
    "Comparison",
    "ConformanceReport",
    "Diagnosis",
    "Format",
    "Stage",
    "StageReport",
    "Textbook",
    "Truth",
    "Written",
    "cases_of",
    "compare_vectors",
    "conform",
    "diagnose",
    "html_report",
    "overview",
    "make_case",
    "read_vectors",
    "result_key",
    "truth_of",
    "write_vectors",
]
