"""The main job: two experiments, what they measure, their folders, reports and progress. :mod:`ddpm_np.cli` runs it."""
