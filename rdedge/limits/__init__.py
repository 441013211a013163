"""What no codec can beat, and what the best scalar quantiser reaches, at a mean squared error.

gaussian.py   R(D) of Gaussian sources: independent, correlated, autoregressive
discrete.py   R(D) of any discrete source under any distortion, by Blahut's and Arimoto's algorithm
scalar.py     the best entropy-coded scalar quantiser of Gaussian sources
levels.py     the same of discrete sources

Rates are bits for each element of a sample, distortions are per element too. A distortion that no
finite rate reaches (0 for a Gaussian) has the rate infinity; no result is ever NaN.
"""
