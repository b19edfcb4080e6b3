"""Training: tasks and tables to train on, the loop, and files to go on from."""

from .csv_file import read_csv
from .loop import train
from .metrics import auc
from .saving import load, save
from .table import FeatureTable, TableModel, generated_table
from .tasks import TASKS, Task, TaskModel

__all__ = [
    "TASKS", "FeatureTable", "TableModel", "Task", "TaskModel", "auc", "generated_table", "load",
    "read_csv", "save", "train",
]  # fmt: skip
