"""Training: tasks and tables to train on, the loop, and files to go on from."""

from .loop import train
from .saving import load, save
from .tasks import TASKS, Task, TaskModel

__all__ = ["TASKS", "Task", "TaskModel", "load", "save", "train"]
