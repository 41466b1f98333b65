"""A binary quadratic model, as dimod's `to_serializable()` writes it without packing into bytes."""

from circuits.problem_files.documents import document
from circuits.problem_files.lines import Found
from qurable.contracts.optimisations import ProblemFile
from qurable.contracts.problems import Ising, Qubo
from qurable.errors import RequestRejected


def read(file: ProblemFile) -> Found:
    """The model, its variables in the order of their labels."""
    model = document(file)
    if model.get("type") != "BinaryQuadraticModel" or model.get("use_bytes"):
        raise RequestRejected(
            "the dimod file is no BinaryQuadraticModel as `to_serializable(use_bytes=False)` writes it"
        )
    labels = model.get("variable_labels")
    linear = model.get("linear_biases")
    columns = [model.get(name) for name in ("quadratic_head", "quadratic_tail", "quadratic_biases")]
    if not isinstance(linear, list) or not isinstance(labels, list) or len(labels) != len(linear):
        raise RequestRejected("the dimod file has not one label and one linear bias per variable")
    if not all(isinstance(column, list) for column in columns) or len({len(c) for c in columns if c}) > 1:
        raise RequestRejected("the dimod file's quadratic columns differ in length")
    pairs = tuple(zip(*(column or [] for column in columns), strict=True))
    offset = model.get("offset", 0.0)
    if model.get("variable_type") == "SPIN":
        return Found(Ising.model_validate({"h": linear, "couplings": pairs, "offset": offset}))
    return Found(Qubo.model_validate({"linear": linear, "quadratic": pairs, "offset": offset}))
