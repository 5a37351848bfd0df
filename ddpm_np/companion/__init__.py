"""The derivation told to readers: a page, the documents' tables and a notebook.

``python -m ddpm_np companion --out FILE`` writes one HTML file that needs no network, or for a name
that ends in .ipynb a notebook; ``python -m ddpm_np.companion`` makes both of the repository anew.
All is taken from the register (:mod:`ddpm_np.equations`, which also makes the tables), from the
errata and from the code when it is built; proofs are run, and one that fails stops the build.

numbers: what the telling shows, computed. sources: a function as HTML. marks: a correction inside a
formula. evidence: proofs, tests, bugs. page, notebook: what is made of them. build: writes them.
"""
