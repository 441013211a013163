"""What the data are for, as a score: how well a user's own task goes on decoded samples.

task     `MODULE:FUNCTION` -> a judge; the page for whoever writes one
digits   accuracy of a classifier of digits
skab     F1 of a detector of anomalies in windows of a series
boards   share of the parts of a circuit board that came back
"""

from rdedge.tasks.task import Judge, Labels, Samples, Task, load

__all__ = ["Judge", "Labels", "Samples", "Task", "load"]
