"""The derivation told to readers: a page, the README's tables and a notebook.

``python -m ddpm_np companion --out FILE`` writes one HTML file that needs no network, or for a name
that ends in .ipynb a notebook. ``python -m ddpm_np.companion`` writes both of the repository anew,
and the tables of its documents. All is taken from the register (:mod:`ddpm_np.equations`), from the
errata and from the code when it is built; proofs are run and formulas are compared with their
functions, and a formula that differs stops the build.

numbers: what the telling shows, computed. sources: a function as HTML. marks: a correction inside a
formula. evidence: proofs, tests, bugs. page: the page. notebook, tables: the other two.
"""
