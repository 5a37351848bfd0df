"""What ``run`` does: the experiments, their training, evaluation, folders and reports."""
