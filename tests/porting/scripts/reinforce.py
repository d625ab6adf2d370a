# ruff: noqa  (as people write them)
"""REINFORCE with a baseline and an entropy bonus on a bandit of contexts."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

EPS = np.finfo(np.float32).eps.item()


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(4, 16)
        self.action_head = nn.Linear(16, 3)
        self.value_head = nn.Linear(16, 1)
        self.saved = []
        self.rewards = []

    def forward(self, x):
        x = torch.tanh(self.affine1(x))
        return F.log_softmax(self.action_head(x), dim=-1), self.value_head(x)


def finish_episode(model, optimizer, gamma=0.9):
    R, returns, policy_losses, value_losses, entropies = 0, [], [], [], []
    for r in model.rewards[::-1]:
        R = r + gamma * R
        returns.insert(0, R)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + EPS)
    for (log_prob, value, entropy), R in zip(model.saved, returns):
        advantage = R - value.item()
        policy_losses.append(-log_prob * advantage)
        value_losses.append(F.smooth_l1_loss(value, torch.tensor([R])))
        entropies.append(entropy)
    optimizer.zero_grad()
    loss = torch.stack(policy_losses).sum() + torch.stack(value_losses).sum()
    loss = loss - 0.01 * torch.stack(entropies).sum()
    loss.backward()
    optimizer.step()
    del model.rewards[:]
    del model.saved[:]
    return loss.item()


def main(fill):
    rng = np.random.default_rng(7)
    model = fill(Policy(), rng)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    running, history = 10.0, []
    for episode in range(4):
        total = 0
        for t in range(6):
            state = torch.from_numpy(rng.standard_normal(4)).float()
            log_probs, value = model(state)
            uniform = torch.tensor(rng.random(3)).float()
            action = (log_probs - torch.log(-torch.log(uniform))).argmax()  # Gumbel's sample
            entropy = -(log_probs.exp() * log_probs).sum()
            model.saved.append((log_probs[action], value, entropy))
            reward = float(action.item() == int(state.argmax()) % 3)
            model.rewards.append(reward)
            total += reward
        running = 0.05 * total + (1 - 0.05) * running
        history += [finish_episode(model, optimizer), running]
    return history
