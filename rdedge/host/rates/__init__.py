"""Rate terms behind one interface (base.py): a batch and its latents -> bits, estimated.

priors.py   learned entropy models of latents: upper bounds, and what tables are smoothed with
renyi.py    matrix-based Renyi entropies of Gram matrices: no density, neither bound
neural.py   InfoNCE and MINE, learned critics: lower bounds, to measure with
"""
