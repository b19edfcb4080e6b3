import torch

layer = torch.nn.Linear(4, 3).double()


def forward(x, weight, bias):
    return call(*map(torch.tensor, (x, weight, bias))).numpy()


def backward(cotangent, *inputs):
    given = [torch.tensor(one, requires_grad=True) for one in inputs]
    found = torch.autograd.grad(call(*given), given, torch.tensor(cotangent))
    return [one.numpy() for one in found]


def call(x, weight, bias):
    return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, x)
