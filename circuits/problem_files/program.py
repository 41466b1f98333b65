"""LP and MPS files, as HiGHS reads them; variables have names, so that nothing is counted."""

from circuits.problem_files.lines import Found
from circuits.whole_programs import as_qubo
from qurable.contracts.optimisations import ProblemFile
from qurable.contracts.problems import LinearProgram


def read(file: ProblemFile) -> Found:
    """The program as a QUBO."""
    problem, terms = as_qubo(LinearProgram.model_validate({"format": str(file.format), "text": file.text}))
    return Found(problem, terms)
