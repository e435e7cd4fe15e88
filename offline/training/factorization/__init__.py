"""Training of factors: ALS by several solvers, BPR, SVD, NMF, and the hybrid for items without interactions."""
