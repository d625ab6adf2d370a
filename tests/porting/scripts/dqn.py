# ruff: noqa  (as people write them)
"""Double DQN on a corridor: a replay memory, a target network, Huber loss, soft updates."""

import random
from collections import deque, namedtuple

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))


class ReplayMemory:
    def __init__(self, capacity):
        self.memory = deque([], maxlen=capacity)

    def push(self, *args):
        self.memory.append(Transition(*args))

    def sample(self, batch_size):
        return random.sample(self.memory, batch_size)

    def __len__(self):
        return len(self.memory)


class DQN(nn.Module):
    def __init__(self, n_observations, n_actions):
        super().__init__()
        self.layer1 = nn.Linear(n_observations, 16)
        self.value = nn.Linear(16, 1)
        self.advantage = nn.Linear(16, n_actions)

    def forward(self, x):
        x = F.relu(self.layer1(x))
        advantage = self.advantage(x)
        return self.value(x) + advantage - advantage.mean(dim=1, keepdim=True)


def main(fill):
    random.seed(0)
    rng = np.random.default_rng(6)
    device = torch.device(
        "cuda"
        if torch.cuda.is_available()
        else "mps"
        if torch.backends.mps.is_available()
        else "cpu"
    )
    policy_net = fill(DQN(2, 3), rng).to(device)
    target_net = DQN(2, 3).to(device)
    target_net.load_state_dict(policy_net.state_dict())
    optimizer = optim.AdamW(policy_net.parameters(), lr=1e-2, amsgrad=True)
    memory = ReplayMemory(100)
    state = torch.zeros(1, 2, device=device)
    losses, tau, gamma = [], 0.05, 0.9
    for step in range(40):
        if random.random() < 0.3:
            action = torch.tensor([[random.randrange(3)]], device=device, dtype=torch.long)
        else:
            with torch.no_grad():
                action = policy_net(state).max(1).indices.view(1, 1)
        move = torch.tensor([[float(action.item() - 1), 0.1]], device=device)
        next_state = (state + 0.3 * move).clamp(-1, 1)
        reward = torch.tensor([float(next_state[0, 0] > 0.8)], device=device)
        done = reward.item() > 0
        memory.push(state, action, None if done else next_state, reward)
        state = torch.zeros(1, 2, device=device) if done else next_state
        if len(memory) < 8:
            continue
        batch = Transition(*zip(*memory.sample(8)))
        non_final = torch.tensor(tuple(s is not None for s in batch.next_state), dtype=torch.bool)
        next_states = torch.cat([s for s in batch.next_state if s is not None])
        states, actions = torch.cat(batch.state), torch.cat(batch.action)
        rewards = torch.cat(batch.reward)
        values = policy_net(states).gather(1, actions)
        next_values = torch.zeros(8, device=device)
        with torch.no_grad():
            best = policy_net(next_states).argmax(1, keepdim=True)
            next_values[non_final] = target_net(next_states).gather(1, best).squeeze(1)
        expected = (next_values * gamma) + rewards
        loss = nn.SmoothL1Loss()(values, expected.unsqueeze(1))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_value_(policy_net.parameters(), 100)
        optimizer.step()
        target, policy = target_net.state_dict(), policy_net.state_dict()
        for key in policy:
            target[key] = policy[key] * tau + target[key] * (1 - tau)
        target_net.load_state_dict(target)
        losses.append(loss.item())
    return losses[::8] + [float(len(memory))]
