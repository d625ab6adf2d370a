"""Several processes that train one model, as `torch.distributed`.

`init_process_group("mpi")` joins what `mpiexec -n 4 python train.py` has started; a program that
was started alone is a group of one. `nn.parallel.DistributedDataParallel` averages gradients,
`utils.data.DistributedSampler` shares out the data, `distributed.optim.ZeroRedundancyOptimizer`
the optimizer's state. docs/distributed.md tells how, and when it pays.
"""

from ..nn.data_parallel import SyncBatchNorm
from .batchnorm import normalized
from .collectives import (
    ReduceOp,
    Work,
    all_gather,
    all_gather_into_tensor,
    all_reduce,
    barrier,
    broadcast,
    gather,
    irecv,
    isend,
    monitored_barrier,
    recv,
    reduce,
    reduce_scatter,
    reduce_scatter_tensor,
    scatter,
    send,
)
from .errors import (
    DistBackendError,
    DistError,
    DistNetworkError,
)
from .groups import (
    ProcessGroup,
)
from .objects import (
    all_gather_object,
    broadcast_object_list,
    gather_object,
    scatter_object_list,
)
from .state import (
    GroupMember,
    destroy_process_group,
    get_backend,
    get_global_rank,
    get_group_rank,
    get_process_group_ranks,
    get_rank,
    get_world_size,
    group,
    init_process_group,
    is_available,
    is_gloo_available,
    is_initialized,
    is_mpi_available,
    is_nccl_available,
    is_torchelastic_launched,
    new_group,
)

SyncBatchNorm.over_processes = staticmethod(normalized)

__all__ = [
    "DistBackendError", "DistError", "DistNetworkError", "GroupMember", "ProcessGroup", "ReduceOp",
    "Work", "all_gather", "all_gather_into_tensor", "all_gather_object", "all_reduce", "barrier",
    "broadcast", "broadcast_object_list", "destroy_process_group", "gather", "gather_object",
    "get_backend", "get_global_rank", "get_group_rank", "get_process_group_ranks", "get_rank",
    "get_world_size", "group", "init_process_group", "irecv", "is_available", "is_gloo_available",
    "is_initialized", "is_mpi_available", "is_nccl_available", "is_torchelastic_launched", "isend",
    "monitored_barrier", "new_group", "recv", "reduce", "reduce_scatter", "reduce_scatter_tensor",
    "scatter", "scatter_object_list", "send",
]  # fmt: skip
