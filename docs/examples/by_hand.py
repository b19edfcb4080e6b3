import numpy as np


def swish(x):
    return x / (1 + np.exp(-x))


def backward(cotangent, x):
    s = 1 / (1 + np.exp(-x))
    return cotangent * s * (1 + x * (1 - s))


def forgetful(cotangent, x):
    s = 1 / (1 + np.exp(-x))
    return cotangent * s * (1 + x)
