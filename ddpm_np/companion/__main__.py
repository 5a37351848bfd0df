"""``python -m ddpm_np.companion``: make the page and the notebook of the repository anew."""

from ddpm_np.companion.build import rebuild

rebuild()
