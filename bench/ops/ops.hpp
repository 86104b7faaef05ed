#pragma once
/// Every family adds the benchmarks of its ops to a suite.

#include "bench/common/op_case.hpp"

namespace sheaf::bench {

void add_core(Suite& suite);
void add_embedding(Suite& suite);
void add_tables(Suite& suite);
void add_dense(Suite& suite);
void add_layers(Suite& suite);
void add_score_rows(Suite& suite);
void add_attention(Suite& suite);
void add_recurrent(Suite& suite);
void add_loss(Suite& suite);
void add_optim(Suite& suite);
void add_sample(Suite& suite);
void add_association(Suite& suite);
void add_sparse(Suite& suite);
void add_metrics(Suite& suite);
void add_genetic(Suite& suite);
void add_joint(Suite& suite);
void add_search(Suite& suite);

}  // namespace sheaf::bench
