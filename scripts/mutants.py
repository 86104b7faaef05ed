#!/usr/bin/env python3
"""Plants faults, one at a time, in a scratch copy and lists those that no test sees.

  mutants.py [--only ROOM] [--first N] [--list] [--jobs N] [--keep FOLDER]

Each fault is one line of FAULTS: a file, a piece of text that is in it once, and what takes its place. For each the
programs that depend on the file are built and the tests of its room run. A fault that no test sees is
printed with its diff. Exit status 1 when fewer than 95 of 100 are caught, 2 when a fault does not apply or does not
compile: then mend the list. Builds go through ccache where it is there; a first run compiles the whole copy.
"""
import argparse
import filecmp
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CAUGHT_AT_LEAST = 0.95

# The tests of a room: preset, program and filter. The engine's and the host's follow for what they build on, the
# executor's for lines that only a device has.
OPS, DEVICE = ("cpu", "test_ops", "*/cpu*"), ("simt", "test_ops", "*/simt")
ENGINE = ("cpu", "test_engine", "*")
HOST = ("cpu", "test_host", "-DemoTest*:BenchTest*:*CtrlC*:*TimeLimit*:*Online*")

FAULTS = [
    # kernels: the rows that both backends share, and the CPU's own
    ("kernels/loss/bpr_row.hpp", "d_positive -= d;", "d_positive += d;"),
    ("kernels/loss/bpr_row.hpp", "sigmoid(margin) * weight * scale", "sigmoid(margin) * scale"),
    ("kernels/loss/bce_row.hpp", "softplus(x) - label * x", "softplus(x)"),
    ("kernels/loss/bce_row.hpp", "g == 0 ? args.positive_weight * row_weight : row_weight", "row_weight"),
    ("kernels/loss/full_softmax_cpu.cpp", "user < s_.n_users; user += kBackwardUsers", "user == 0 || user + kBackwardUsers <= s_.n_users; user += kBackwardUsers"),
    ("kernels/loss/full_softmax_cpu.cpp", "first < s_.n_items; first += kForwardItems", "first == 0 || first + kForwardItems <= s_.n_items; first += kForwardItems"),
    ("kernels/loss/full_softmax_cpu.cpp", "total *= factor;", "total *= 1.0;"),
    ("kernels/loss/full_softmax_cpu.cpp", "static_cast<float>(factor);", "static_cast<float>(1.0 + 0.0 * factor);"),
    ("kernels/loss/full_softmax_cpu.cpp", "s_.target_users[next] < user + n_users;", "s_.target_users[next] < user + n_users - 1;"),
    ("kernels/loss/full_softmax_cpu.cpp", "s.bias + s.filled_items, -INFINITY", "s.bias + s.filled_items, 0.0f"),
    ("kernels/loss/softmax_tile_kernel.hpp", "largest[r] == -__builtin_inff() ? 0.0f : largest[r]", "0.0f * largest[r]"),
    ("kernels/loss/softmax_tile_kernel.hpp", "largest[r] == -__builtin_inff() ? 0.0f : largest[r]", "largest[r]"),
    ("kernels/recurrent/recurrent_cell.hpp", "(1.0f - z) * n + z * before", "z * n + (1.0f - z) * before"),
    ("kernels/recurrent/recurrent_cell.hpp", "d_n, d_n * r, d_h * z}", "d_n, d_n, d_h * z}"),
    ("kernels/recurrent/recurrent_cell.hpp", "d_h * (before - n)", "d_h * before"),
    ("kernels/recurrent/recurrent_cell.hpp", "const float d = d_c + d_h", "const float d = 0.5f * d_c + d_h"),
    ("kernels/recurrent/recurrent_cell.hpp", "d * before * (f * (1.0f - f))", "d * (c + 0.0f * before) * (f * (1.0f - f))"),
    ("kernels/recurrent/recurrent_cpu.cpp", "while (count > 0 && length[count - 1] <= t) --count;", "while (count > 0 && length[count - 1] < t) --count;"),
    ("kernels/recurrent/recurrent_cpu.cpp", "std::copy_n(args.bias.data, dim, row + 2 * dim);", "std::fill_n(row + 2 * dim, dim, 0.0f);"),
    ("kernels/recurrent/recurrent_cpu.cpp", "std::fill_n(d_state, kTogether * dim, 0.0f);", ""),
    ("kernels/recurrent/recurrent_cpu.cpp", "std::copy_n(sums + 2 * dim", "std::copy_n(sums + dim"),
    ("kernels/core/blas_cpu.cpp", "piece = 1; piece < n_pieces; ++piece", "piece = 2; piece < n_pieces; ++piece"),
    ("kernels/recurrent/recurrent_cuda.cu", "(is_last ? 0.0f : d_states[place + unit])", "d_states[place + unit]"),
    ("kernels/recurrent/recurrent_cuda.cu", "if (has_row && unit < dim) d_states[place + unit] += sum;", "if (has_row && unit < dim) d_states[place + unit] = sum;"),
    ("kernels/dense/convolution_pool.hpp", "value > largest ||", "value >= largest ||"),
    ("kernels/dense/convolution_pool.hpp", "(value != value && largest == largest)", "value != value"),
    ("kernels/dense/convolution_pool.hpp", "hidden > 0.0f ? share : 0.0f", "share + 0.0f * hidden"),
    ("kernels/dense/convolution_cpu.cpp", "out[f] /= count;", "out[f] /= count + 1.0f;"),
    ("kernels/dense/convolution_cpu.cpp", "if (!args.add_to_d_x) std::fill_n", "if (args.add_to_d_x) std::fill_n"),
    ("kernels/dense/convolution_cpu.cpp", "for (int64_t j = 1; j < s.positions; ++j) {\n      for (int64_t i = 0;", "for (int64_t j = 2; j < s.positions; ++j) {\n      for (int64_t i = 0;"),
    ("kernels/dense/convolution_cuda.cu", "float& out = args.out(r, args.first_column + f);", "float& out = args.out(r, f);"),
    ("kernels/dense/convolution_cuda.cu", "j == winner ? d_out : 0.0f", "j == winner + 1 ? d_out : 0.0f"),
    ("kernels/metrics/ranking_row.hpp", "static_cast<double>(hits) / static_cast<double>(n));", "static_cast<double>(hits) / static_cast<double>(args.k));"),
    ("kernels/metrics/ranking_row.hpp", "if (hits == 1) reciprocal", "if (hits >= 1) reciprocal"),
    ("kernels/metrics/ranking_row.hpp", "log2(static_cast<double>(r + 1))", "log2(static_cast<double>(r + 2))"),
    ("kernels/metrics/ranking_row.hpp", "const int64_t ideal_hits = n < args.k ? n : args.k;", "const int64_t ideal_hits = args.k;"),
    ("kernels/metrics/binary_terms.hpp", "(p >= 0.5) == positive", "(p > 0.5) == positive"),
    ("kernels/metrics/binary_terms.hpp", "return 0.5 * static_cast<double>(negatives_before[low] + negatives_before[first]);", "return static_cast<double>(negatives_before[low]);"),
    ("kernels/sample/draws.hpp", "if (!is_taken(args.taken, user, item)) break;", "if (is_taken(args.taken, user, item)) break;"),
    ("kernels/sample/draws.hpp", "uniform01(draw.v[1]) >= args.alias_threshold[item]", "uniform01(draw.v[1]) < args.alias_threshold[item]"),
    ("kernels/genetic/evaluate_one_set.hpp", "if (size < problems.min_size) wrong += problems.min_size - size;", ""),
    ("kernels/genetic/evaluate_one_set.hpp", "(distinct < problems.min_categories ? problems.min_categories - distinct : 0)", "0"),
    ("kernels/genetic/joint_pairs_pair.hpp", "const float least = smaller(p, q), other", "const float least = p, other"),
    ("kernels/genetic/joint_pairs_pair.hpp", "args.weight * args.substitute_factor : args.weight", "args.weight : args.weight"),
    ("kernels/genetic/bundle_terms_pair.hpp", "fmaxf(csr_entry(args.association, i, j), csr_entry(args.association, j, i))", "csr_entry(args.association, i, j)"),
    ("kernels/genetic/bundle_terms_pair.hpp", "(args.weight_preference + args.weight_revenue * price) - cost", "(args.weight_preference + args.weight_revenue * price) - 0 * cost"),
    ("kernels/association/measure.hpp", "return both / i;", "return both / j;"),
    ("kernels/association/measure.hpp", "both / (i + j - both)", "both / (i + j)"),
    ("kernels/association/measure.hpp", "both / all - (i / all) * (j / all)", "both / all - i / all"),
    ("kernels/sparse/spmm_cpu.cpp", "static_cast<float>(args.n_in_mean + 1)", "static_cast<float>(args.n_in_mean + 2)"),
    ("kernels/sparse/spgemm_cpu.cpp", "std::copy_n(args.column_bias.data, args.out.cols, out);", "std::fill_n(out, args.out.cols, 0.0f);"),
    ("kernels/sparse/als_solve_cpu.cpp", "((1.0f + d) / root)", "(d / root)"),
    ("kernels/sparse/als_solve_cpu.cpp", "row[i] += 1.0f;", "row[i] += 0.5f;"),
    ("kernels/sparse/als_solve_cpu.cpp", "std::min(dim, column + kTileColumns) : dim;", "std::min(dim, column + 1) : dim;"),
    ("kernels/sparse/als_solve_cpu.cpp", "w.terms, count, first > 0);", "w.terms, count, false);"),
    ("kernels/sparse/als_system_kernel.hpp", "left -= row[p + t] * solution[p + t];", "left -= 0.0f * solution[p + t];"),
    ("kernels/sparse/als_system_kernel.hpp", "Vector::broadcast(-pivots[2 * width + r])", "Vector::broadcast(pivots[2 * width + r])"),
    ("kernels/sparse/als_solve_cuda.cu", "for (int64_t e = group; e < row.n;", "for (int64_t e = group + 1; e < row.n;"),
    ("kernels/dense/gram_cpu.cpp", "first == begin ? 0.0 : 1.0", "0.0"),
    ("kernels/dense/gram_cpu.cpp", "for (int64_t p = 0; p < n_pieces; ++p)", "for (int64_t p = 0; p + 1 < n_pieces; ++p)"),
    ("kernels/embedding/row_step.hpp", "return own * (1.0f / static_cast<float>(range.end - range.begin));\n  }", "return own + 0.0f * static_cast<float>(range.end - range.begin);\n  }"),
    ("kernels/dense/gather_scores_cpu.cpp", "item >= 0 && item < args.scores.cols", "item > 0 && item < args.scores.cols"),
    ("kernels/core/optimizer.hpp", "o.nesterov ? g + o.mu * state : state", "o.nesterov ? g + state : state"),
    ("kernels/core/optimizer.hpp", "kOptimizer == Optimizer::adagrad ? state + g * g", "kOptimizer == Optimizer::adagrad ? state + grad * grad"),
    ("kernels/optim/clip_cpu.cpp", "n_partials += clip_parts(gradient);", "n_partials += 0 * clip_parts(gradient);"),
    ("kernels/dense/activation_element.hpp", "kept > 0.0f ? d", "kept >= 0.0f ? d"),
    ("kernels/dense/scaled_add_element.hpp", "args.keep == 0.0f ? 0.0f : args.keep", "args.keep"),
    ("kernels/dense/row_topk_cpu.cpp", "args.exclude_rows.empty() ? r : args.exclude_rows[r]", "r"),
    ("kernels/dense/score_topk_cpu.cpp", "args.exclude_rows.empty() ? q : args.exclude_rows[q]", "q"),
    # engine
    ("engine/train/softmax_epoch.cpp", "constexpr double kUnseenWeight = 0.5;", "constexpr double kUnseenWeight = 1.5;"),
    ("engine/train/trainer.cpp", "summary.ndcg > best_ndcg", "summary.ndcg >= best_ndcg"),
    ("engine/train/trainer.cpp", "best.restore();", ""),
    ("engine/train/pair_tables.cpp", "constexpr float kInitialDeviation = 0.1f;", "constexpr float kInitialDeviation = 0.2f;"),
    ("engine/models/personal.cpp", "std::exp2(-age / half_life_days)", "std::exp(-age / half_life_days)"),
    ("engine/models/personal.cpp", "popularity_ * sum / total", "popularity_ * sum"),
    ("engine/models/purchase_weights.cpp", "std::log1p(w) : 1.0f", "1.0f : 1.0f"),
    ("engine/models/als.cpp", 'if (weight_ == "log") w = std::log1p(w);', ""),
    ("engine/models/als.cpp", "if (!(purchases.values[e] > 0.0f)) continue;", ""),
    ("engine/models/als.cpp", "second.best_epoch += before;", ""),
    ("engine/models/als.cpp", "  users_ = std::move(kept_users);\n", ""),
    ("engine/models/svd.cpp", "std::pow(square, -power_ / 2.0)", "std::pow(square, -power_)"),
    ("engine/models/svd.cpp", "left -= along[k] * learned_.right[i * dim + k];", "left += along[k] * learned_.right[i * dim + k];"),
    ("engine/models/svd.cpp", "items[at] /= scale_[", "items[at] *= scale_["),
    ("engine/models/truncated_svd.cpp", "out.values.push_back(-mean[", "out.values.push_back(mean["),
    ("engine/models/truncated_svd.cpp", "std::sqrt(eigen.values[static_cast<size_t>(found++)])", "eigen.values[static_cast<size_t>(found++)]"),
    ("engine/models/truncated_svd.cpp", "round < 2 && x.cols > 0", "round < 0 && x.cols > 0"),
    ("engine/models/fusion.cpp", "std::asinh(row[kPairFeatures + m] / scale[m])", "std::asinh(row[kPairFeatures + m])"),
    ("engine/models/fusion.cpp", "lowest - 1.0f + share / 32.0f", "lowest + 1.0f + share / 32.0f"),
    ("engine/models/fusion.cpp", "today - kWeek * (std::ssize(baskets) - 1 - b)", "today - kWeek * b"),
    ("engine/models/fusion.cpp", "weights[kRate365] = 1.0f;", "weights[kRate365] = 0.0f;"),
    ("engine/train/trainer.cpp", "training->set_steps(state->steps);", ""),
    ("engine/train/trainer.cpp", "best_ndcg = state->best_ndcg;", ""),
    ("engine/train/trainer.cpp", "if (p.moment2.size() > 0) p.moment2.assign(state.tables[t].moment2);", ""),
    ("engine/train/trainer.cpp", "best.copies()[t].assign(state.tables[t].best);", "best.copies()[t].assign(state.tables[t].value);"),
    ("engine/train/trainer.cpp", "finished = state->finished;", ""),
    ("engine/models/autoencoder.cpp", "void set_steps(int64_t steps) override { n_steps_ = steps; }", "void set_steps(int64_t) override {}"),
    ("engine/models/sequence_epoch.cpp", "n_steps_ = static_cast<uint32_t>(steps); }", "n_steps_ = static_cast<uint32_t>(steps) + 1; }"),
    ("engine/layers/convolution.cpp", ".add_to_d_x = w > 0,", ".add_to_d_x = false,"),
    ("engine/layers/attribute_convolution.cpp", "convolution_.backward(pass, d_pooled, d_x);", "convolution_.backward(pass, d_pooled, take_inputs(pass));\n  pass.context.fill_bytes(d_x.data, 0, static_cast<size_t>(d_x.size()) * sizeof(float));"),
    ("engine/data/item_features.cpp", "if (catalog.numbers.n > 0) matrix.values.push_back(1.0f);", "if (catalog.numbers.n > 0) matrix.values.push_back(0.5f);"),
    ("engine/models/pair_model.cpp", "tables.bag_vectors(context)", "tables.item_vectors(context)"),
    ("engine/models/attribute_settings.cpp", "saved[1] == 1 ?", "saved[1] != 1 ?"),
    ("engine/models/attribute_settings.cpp", "std::ranges::count(widths, width) == 1;", "std::ranges::count(widths, width) >= 1;"),
    ("engine/train/softmax_epoch.cpp", "if (model_.attributes) model_.attributes->backward(pass, d_items);", "if (model_.attributes) model_.attributes->backward(pass, {item_vectors_.data(), d_items.rows, d_items.cols});"),
    ("engine/models/blend.cpp", "static_cast<float>(weights[m] * scale_[m])", "static_cast<float>(weights[m])"),
    ("engine/models/blend.cpp", "squares += (static_cast<double>(s) - mean) * (static_cast<double>(s) - mean)", "squares += static_cast<double>(s) * static_cast<double>(s) + 0.0 * mean"),
    ("engine/models/blend.cpp", "if (!(ndcg > reached)) return false;", "if (!(ndcg < reached)) return false;"),
    ("engine/models/blend.cpp", "options.chosen.find(kWeightPrefix + member)", "options.chosen.find(member)"),
    ("engine/models/blend.cpp", "!std::isfinite(weight) || weight < 0.0", "!std::isfinite(weight)"),
    ("engine/models/blend.cpp", "|| sum == 0.0) {", "|| sum < 0.0) {"),
    ("engine/models/members.cpp", "*name == self || ", "(self.size() > 99 && *name == self) || "),
    ("engine/models/members.cpp", "own.chosen[key.substr(prefix.size())] = value;", "own.chosen[key] = value;"),
    ("engine/models/fusion_pairs.cpp", "if (draw % kShare == fold) {", "if (draw % kShare != fold) {"),
    ("engine/models/fusion_pairs.cpp", "history.day(b) <= from || history.day(b) > to", "history.day(b) < from || history.day(b) > to"),
    ("engine/models/fusion_pairs.cpp", "window.known = until(history, from);", "window.known = until(history, to);"),
    ("engine/models/fusion_epoch.cpp", "-static_cast<double>(power)", "static_cast<double>(power)"),
    ("engine/models/fusion_epoch.cpp", "rows[0] = examples_.bought[static_cast<size_t>(purchase)];", "rows[0] = examples_.bought[0];"),
    ("engine/layers/propagation.cpp", "static_cast<float>(1.0 / std::sqrt(sum))", "static_cast<float>(1.0 / sum)"),
    ("engine/layers/propagation.cpp", "append(item_item, i, n_users, item_weight);", "append(item_item, i, n_users, 1.0f + 0.0f * item_weight);"),
    ("engine/layers/propagation.cpp", "step_rows(context, now, 0, next.row_block(0, first), {}, 1);", ""),
    ("engine/layers/propagation.cpp", "graph_->step(pass.context, d_reached, d_layer);", "copy_rows(pass.context, d_reached, d_layer);"),
    ("engine/train/pair_loss.cpp", "place.params.learning_rate = -1.0f;", "place.params.learning_rate = 1.0f;"),
    ("engine/train/pair_loss.cpp", ".epoch = draw.round,", ".epoch = 0 * draw.round,"),
    ("engine/train/pair_loss.cpp", ".first_position = draw.first,", ".first_position = 0 * draw.first,"),
    ("engine/models/lightgcn_step.cpp", ".scale = 1.0f / static_cast<float>(n_users),", ".scale = 1.0f,"),
    ("engine/models/lightgcn_step.cpp", "d_nodes.row_block(n_users(), n_items())", "d_nodes.row_block(0, n_items())"),
    ("engine/models/lightgcn.cpp", "take_vectors(context, net);  // of the epoch that was kept", ""),
    ("engine/models/lightgcn.cpp", "symmetrised(counted.partners.to_csr())", "counted.partners.to_csr()"),
    ("engine/models/autoencoder_step.cpp", "uniform01(random_u32(key, number, column))) < share", "uniform01(random_u32(key, number, column))) >= share"),
    ("engine/models/autoencoder_step.cpp", "kept.values.push_back(rows.values[e] * rest);", "kept.values.push_back(rows.values[e] * (1.0f + 0.0f * rest));"),
    ("engine/models/autoencoder_step.cpp", "row_numbers[static_cast<size_t>(r)]);", "row_numbers[0]);"),
    ("engine/models/autoencoder_step.cpp", "dense::scaled_add(pass.context, {.x = bias, .out = sums});", ""),
    ("engine/models/autoencoder_step.cpp", "widths.push_back(shape.hidden[l - 2]);", "widths.push_back(shape.hidden[shape.hidden.size() - l]);"),
    ("engine/models/autoencoder.cpp", "weights_of_strangers(queries.purchases(), weight)", "queries.purchases()"),
    ("engine/models/widths.cpp", "std::stoi(word) >= 1;", "std::stoi(word) >= 0;"),
    ("engine/models/user_knn.cpp", "rows.values.push_back(weight * neighbours", "rows.values.push_back(0.5f * weight * neighbours"),
    ("engine/models/item_knn.cpp", "transpose(with_diagonal(", "transpose((" ),
    ("engine/associate/similar_users.cpp", "std::sqrt(static_cast<double>(rates.values[first + e])) * rarity", "static_cast<double>(rates.values[first + e]) * rarity"),
    ("engine/associate/similar_users.cpp", "if (age < 0.0) continue;", ""),
    ("engine/scoring/product_scorer.cpp", "rows_of_strangers_(context, queries, first, out.rows)", "rows_of_strangers_(context, queries, 0, out.rows)"),
    ("engine/demand/habit_features.cpp", "row[kBasketsSince] = log(1.0 +", "row[kBasketsSince] = log(2.0 +"),
    ("engine/demand/habit_features.cpp", "(gaps[i] + kPriorGaps)", "(gaps[i] + 1.0)"),
    ("engine/models/choose.cpp", ": now.validation_ndcg > best", ": now.validation_ndcg < best"),
    ("engine/models/tensors.cpp", "has_rows != rows || has_cols != cols", "has_rows != rows"),
    ("engine/models/model_file.cpp", "apply_settings(model.settings(), values);", ""),
    ("engine/models/model_file.cpp", 'model.calibration.offset = number_at(manifest.at("calibration"), "offset");', ""),
    ("engine/scoring/scorer.cpp", "sum / static_cast<double>(queries.n())", "sum"),
    ("engine/scoring/scorer.cpp", "view.row_offsets += first;", "view.row_offsets += 0 * first;"),
    ("engine/scoring/linear_scorer.cpp", ".offset = static_cast<float>(calibration.offset),", ""),
    ("engine/scoring/network_scorer.cpp", ".relu = !last,", ".relu = false,"),
    ("engine/scoring/calibration.cpp", "held_out.contains(users[at / static_cast<size_t>(listed)], items[at]) ? 1 : 0", "1"),
    ("engine/scoring/calibration.cpp", "fitted.slope >= 0.0) return fitted;", "true) return fitted;"),
    ("engine/evaluate/ranking_eval.cpp", "if (!removed || !removed->contains(r, c))", "if (!removed || removed->contains(r, c))"),
    ("engine/evaluate/reliability.cpp", "std::abs(bin.foreseen - bin.found)", "(bin.foreseen - bin.found)"),
    ("engine/evaluate/bundle_eval.cpp", "if (bundle.violation != 0.0f) continue;", ""),
    ("engine/evaluate/bundle_eval.cpp", "summary.mean_price = ratio(price, n);", "summary.mean_price = price;"),
    ("engine/bundles/increment.cpp", "result.revenue = result.turnover - without - diverted * more;", "result.revenue = result.turnover - without;"),
    ("engine/bundles/increment.cpp", "std::min(extra, base.single)", "extra"),
    ("engine/bundles/completion.cpp", "1.0 / std::sqrt(n + params.shrinkage)", "1.0 / (n + params.shrinkage)"),
    ("engine/bundles/column_generation.cpp", "n_shared(bundle, other) > max_overlap", "n_shared(bundle, other) > max_overlap + 1"),
    ("engine/bundles/bundle_search.cpp", "(1.0 - static_cast<double>(params.margin_floor))", "1.0"),
    ("engine/bundles/candidates.cpp", "1.0f + params.uplift * params.discount", "1.0f + params.uplift"),
    ("engine/bundles/candidates.cpp", "value += (1.0f - params.discount) * params.paid_value[at];", "value += params.paid_value[at];"),
    ("engine/associate/substitutes.cpp", "pair.together >= min_together", "pair.together >= 0 * min_together"),
    ("engine/associate/substitutes.cpp", "return {together + prior, expected + prior / prior_mean};", "return {together + prior, expected + prior / (0 * prior_mean + 1)};"),
    ("engine/mining/frequent_itemsets.cpp", "if (support < params_.min_support) continue;", ""),
    ("engine/mining/frequent_itemsets.cpp", "std::ssize(prefix_) >= params_.min_size", "true"),
    ("engine/optimize/problem.cpp", "if (!(limit.lower <= limit.upper))", "if (limit.lower > limit.upper + 1.0)"),
    ("engine/data/settings.cpp", "*integer >= setting.least_integer && ", ""),
    ("engine/layers/recurrent_layer.cpp", "if (!gru) std::fill_n(bias.begin(), dim, -kSlow);", ""),
    ("engine/layers/recurrent_layer.cpp", "bias.begin() + kSlowGate * dim", "bias.begin() + 0 * kSlowGate * dim"),
    ("engine/layers/sequence_network.cpp", "if (!known) shape.user_rows = 0;", "if (!known) shape.user_rows += 0;"),
    ("engine/models/recurrent.cpp", ".user_rows = user_rows}", ".user_rows = 0 * user_rows}"),
    ("engine/models/sequence_step.cpp", "for (int64_t t = begin; t < until && t + 1 < end; ++t) {", "for (int64_t t = begin; t + 1 < until; ++t) {"),
    ("engine/models/sequence_model.cpp", "end - std::min(length, history.length(u))", "end - history.length(u) + 0 * length"),
    ("engine/train/step_rule.cpp", "std::clamp((done - warmup) / rest, 0.0, 1.0)", "std::clamp(done / rest, 0.0, 1.0)"),
    ("engine/train/step_rule.cpp", "if (epoch.validation_ndcg > best) {", "if (epoch.validation_ndcg >= best) {"),
    ("engine/train/step_rule.cpp", ".decoupled_decay = beside ? weight_decay : 0.0f", ".decoupled_decay = weight_decay"),
    ("engine/train/pair_step.cpp", "std::pow(counts[item(order[place])], -power)", "std::pow(counts[item(order[place])], power)"),
    ("engine/train/train_settings.cpp", "return weight > 0.0 ? weight : static_cast<double>(negatives);", "return weight > 0.0 ? weight : 1.0 + 0.0 * static_cast<double>(negatives);"),
    ("engine/models/ensemble.cpp", "own.seed = options.seed + m;", "own.seed = options.seed + 0 * m;"),
    # host
    ("host/app/dataset.cpp", "split == data::kValidation || (test_too && split == data::kTest)", "split == data::kValidation || (test_too || split == data::kTest)"),
    ("host/app/training.cpp", "session.model().calibration = calibration;", "session.model().calibration = {calibration.slope + 1.0, calibration.offset};"),
    ("host/app/quality.cpp", "const Purchases& purchases = later ? *later : session.purchases;", "const Purchases& purchases = session.purchases;"),
    ("host/app/dataset.cpp", "std::exp(-age / recency_days)", "std::exp(-2 * age / recency_days)"),
    ("host/app/offers.cpp", "offer.audience += users.buys[u];", "offer.audience += 1.0;"),
    ("host/app/offers.cpp", "offer.audience : offer.expected_baskets) * offer.offer_price", "offer.audience : offer.expected_baskets) * offer.price"),
    ("host/app/offers.cpp", "offer.lift /= n_pairs;", ""),
    ("host/app/offers.cpp", "(config.discount.max - config.discount.min) / std::max(1.0, offer.lift)", "(config.discount.max - config.discount.min)"),
    ("host/app/joint.cpp", "return std::max(0.0, 1 - none - one);", "return std::max(0.0, 1 - none);"),
    ("host/app/joint.cpp", "together += std::min({chance[a], chance[b], product * rho});", "together += product * rho;"),
    ("host/app/quality.cpp", "quality.accuracy = values[metrics::kAccuracy];", "quality.accuracy = values[metrics::kAuc];"),
    ("host/app/quality.cpp", "c.offset + shift;", "c.offset + 0 * shift;"),
    ("host/app/quality.cpp", "quality.brier = values[metrics::kBrier];", "quality.brier = values[metrics::kLogLoss];"),
    ("host/app/search_setup.cpp", "users.baskets.push_back(baskets * chance);", "users.baskets.push_back(chance);"),
    ("host/app/search_params.cpp", "params.budget = s.budget;", ""),
    ("host/app/search_params.cpp", "for (const std::string& id : s.forbidden)", "for (const std::string& id : s.must_have)"),
    ("host/app/searches.cpp", "if (lift <= std::max(1.0, reason.lift)) continue;", "if (lift <= 0.0) continue;"),
    ("host/app/session.cpp", "++made_.graph_vectors;", ""),
    ("host/app/training.cpp", ".chosen = held.chosen,", ".chosen = {},"),
    ("host/app/campaign.cpp", "config.discount.cost_share * static_cast<double>(prepared.item_price[i])", "(config.discount.cost_share + 0.1) * static_cast<double>(prepared.item_price[i])"),
    ("host/app/price_response.cpp", "lose += offer.increment.margin.high < 0 ? 1 : 0;", "lose += offer.increment.margin.low < 0 ? 1 : 0;"),
    ("host/data/split.cpp", "first || left > 1 ? kTrain", "(first && left > 0) || left > 1 ? kTrain"),
    ("host/data/split.cpp", "time > test_after ? kTest", "time >= test_after ? kTest"),
    ("host/data/thin.cpp", "count[i] >= least", "count[i] > least"),
    ("host/data/clean.cpp", "pattern.ends_with('*') ?", "false ?"),
    ("host/report/csv_cells.cpp", "if (c == '\"') out.push_back('\"');", ""),
    ("host/report/csv_cells.cpp", "!= text::NumberStatus::ok", "== text::NumberStatus::ok"),
    ("host/app/needed_data.cpp", "search.anchor_by != \"wanted\"", "search.anchor_by == \"new\""),
    ("host/data/unknown_ids.cpp", "kind->n_unknown + kind->known, kind->what", "kind->known, kind->what"),
    ("engine/io/standard_streams.cpp", "code >= 0x7f && code < 0xa0", "code == 0x7f"),
    ("host/report/tables.cpp", "offer.audience, std::isnan(offer.expected_baskets)", "offer.price, std::isnan(offer.expected_baskets)"),
    ("host/config/config.cpp", "if (!read || *read < low || *read > high) return false;", "if (!read || *read < low || *read / 2 > high) return false;"),
    ("host/cli/present.cpp", 'epoch.best ? "  best" : ""', '""'),
    # host: what is refused, since it means nothing
    *[("host/app/needed_data.cpp", asked, f"false && ({asked})") for asked in (
        "std::isfinite(search.budget)", "search.weight_revenue != 0.0", "terms.revenue != 0.0 || terms.margin != 0.0",
        'discount.by == "search"', "discount.margin_floor != 0.0", "changed(&D::cost_share)", "changed(&D::own_response)",
        "changed(&D::cross_response)", "changed(&D::uplift)", "search.anchor_days != usual.search.anchor_days",
        "config.model.recency_days != usual.model.recency_days", 'config.model_settings.contains("personal.half_life_days")',
        "config.evaluate.decay_days != usual.evaluate.decay_days", "!search.categories.empty()", "search.min_categories > 1",
        'config.associate.category_rule != "any"', "!config.associate.category_pairs.empty()")],
    ("host/cli/program.cpp", "if (std::ranges::find(values, std::string()) != values.end()) return", "if (values.size() > 99) return"),
    ("host/app/checkpoint_folder.cpp", "next_slot_ = 1 - number;", "next_slot_ = number;"),
    ("host/app/checkpoint_folder.cpp", "newest->epoch() >= state->epoch()", "newest->epoch() <= state->epoch()"),
    ("host/app/checkpoint_folder.cpp", "if (found.at(part) == identity_.at(part)) continue;", "continue;"),
    ("host/app/checkpoint_folder.cpp", "same.run.threads = 0;", ""),
    ("host/app/tune_space.cpp", "if (known.insert(trial).second) trials", "known.insert(trial); trials"),
    ("host/app/tune_space.cpp", "if (has.contains(space[d].name)) trial", "trial"),
    ("host/app/tune_space.cpp", "d.low + u * (d.high - d.low + 1.0)", "d.low + u * (d.high - d.low)"),
    ("host/app/tune_space.cpp", "std::exp(std::log(d.low) + u * (std::log(d.high) - std::log(d.low)))", "d.low + u * (d.high - d.low)"),
    ("host/app/tuning.cpp", "if (u >= share)", "if (u < share)"),
    ("host/app/tuning.cpp", "std::set<int64_t> kept{0};", "std::set<int64_t> kept;"),
    ("host/app/tuning.cpp", 'if (line + "\\n" != text_) {', "if (false) {"),
    ("host/app/tuning.cpp", "settings.run.threads = 0;", ""),
    ("host/app/tuning.cpp", "tuning.best = ranked.front().trial;", "tuning.best = ranked.back().trial;"),
    ("host/app/tuning.cpp", "shares.back() / static_cast<double>(kThird)", "shares.back() / 2.0"),
    ("host/cli/program.cpp", 'std::ranges::count(option->results(), "-") > 0', "option->results().size() > 99"),
    ("host/cli/program.cpp", "if (std::ranges::find(once, id) == once.end()) once", "once"),
    ("host/cli/program.cpp", "if (now - first > kSameRequestMilliseconds) _exit", "if (now - first >= 0) _exit"),
    ("host/data/unknown_ids.cpp", "if (policy_ == UnknownPolicy::refuse) {", "if (policy_ != UnknownPolicy::refuse) {"),
    ("host/data/unknown_ids.cpp", "if (kind->known > 0 || kind->n_unknown == 0) continue;", "if (kind->known >= 0 || kind->n_unknown == 0) continue;"),
    ("engine/io/folder.cpp", "if (const std::string foreign = foreign_file(target, try_manifest(target)); !foreign.empty()) {", "if (const std::string foreign = foreign_file(target, try_manifest(target)); foreign.size() > 9999) {"),
    ("engine/io/claim.cpp", "if (!fs::is_symlink(fs::symlink_status(target, error))) return target;", "if (!fs::is_symlink(fs::symlink_status(target, error)) || !error) return target;"),
    ("engine/io/claim.cpp", "if (!partials_of(behind, /*aside=*/true).empty()) return behind;", "if (partials_of(behind, /*aside=*/true).size() < 99) return behind;"),
    # engine and host: what is known of items beside their purchases
    ("engine/data/item_features.cpp", "static_cast<int32_t>(first + c)", "static_cast<int32_t>(first)"),
    ("engine/train/pair_tables.cpp", "bags.values.push_back(features.values[at]);", "bags.values.push_back(1.0f);"),
    ("engine/models/cold_items.cpp", "const double w = x * weight_[static_cast<size_t>(i)];", "const double w = x;"),
    ("engine/models/cold_items.cpp", "by.constant[c] -= of.mean[column] * b;", ""),
    ("engine/models/cold_items.cpp", "-= total * of.mean[row] * of.mean[column];", "-= 0.0 * total;"),
    ("engine/models/cold_items.cpp", "if (error >= least) continue;", "if (error >= least && s > 0) continue;"),
    ("engine/models/pair_model.cpp", "rows[at] += after[at] - before[at];", "rows[at] = after[at];"),
    ("engine/models/als.cpp", "for (const int32_t i : cold_) std::fill_n(items.begin() + i * dim_, dim_, 0.0f);", ""),
    ("engine/models/lightgcn.cpp", "cold.fill(context, items_, dim_);", ""),
    ("host/app/dataset.cpp", "if (at(i, f) == 0.0f) continue;", ""),
    ("host/data/vector_file.cpp", "file.values[static_cast<size_t>(c * file.rows + row)];", "file.values[static_cast<size_t>(row * file.dim + c)];"),
    ("host/data/vector_file.cpp", "if (std::isfinite(file.values[at])) continue;", "if (!std::isinf(file.values[at])) continue;"),
    ("host/data/item_vectors.cpp", "if (config.vectors.normalise) normalise_vector(to, file.dim);", "normalise_vector(to, file.dim);"),
    ("host/data/item_vectors.cpp", "if (taken >= 0) {", "if (taken > 0) {"),
    # host and engine: what steers a terminal, and what a spreadsheet would run
    ("engine/io/standard_streams.cpp", "code < 0x20 ? code != '\\n' && code != '\\t' :", "code < 0x1b ? code != '\\n' && code != '\\t' :"),
    ("engine/io/standard_streams.cpp", "(code >= 0x202a && code <= 0x202e)", "(code > 0x202a && code < 0x202e)"),
    ("engine/io/standard_streams.cpp", "(code >= 0x2066 && code <= 0x2069)", "(code > 0x2066 && code < 0x2069)"),
    ("host/report/csv_cells.cpp", '"=+-@\\t\\r"', '"=+-@"'),
    ("host/report/csv_cells.cpp", '"=+-@', '"='),
    ("host/report/csv_cells.cpp", "guard_ && looks_like_formula(value)", "looks_like_formula(value)"),
    ("host/report/csv_cells.cpp", "value.front() != ' ' &&", "value.front() != '_' &&"),
    ("host/report/csv_cells.cpp", 'value.find_first_of(";\\"")', "value.find_first_of(';')"),
]

# A fault that no test can see, with the reason. None at present.
NAMED = {}


def run(command, folder, **more):
    # A program that waits for its standard input gets an end of it.
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, **more)


def tests_of(file):
    room = file.split("/")[0]
    return {"kernels": [OPS, DEVICE, ENGINE], "engine": [ENGINE, HOST], "host": [HOST]}[room]


def likely_tests(file):
    """The tests that are named after the file: most faults are seen there, in a second instead of a minute."""
    words = re.sub(r"_(cpu|row|pair|terms|element|scan)$", "", pathlib.Path(file).stem).split("_")
    return ":".join(f"*{word.capitalize()}*" for word in words if len(word) > 2)


def sees_it(tree, file, jobs):
    """None: does not compile; else the program that failed, or the empty string."""
    for preset, program, tests in tests_of(file):
        wanted = [program] if file.startswith("kernels/") or program == "test_engine" else [program, "sheaf"]
        built = run(["ninja", "-C", f"build/{preset}", f"-j{jobs}", *wanted], tree)
        if built.returncode != 0:
            return None
        only = "".join(f":{test}" for test in tests.split("-")[1].split(":")) if "-" in tests else ""
        for chosen in (likely_tests(file) + (f"-{only[1:]}" if only else ""), tests):
            try:
                done = run([f"build/{preset}/bin/{program}", f"--gtest_filter={chosen}", "--gtest_fail_fast", "--gtest_brief=1"], tree,
                           timeout=900)
            except subprocess.TimeoutExpired:
                return f"{program} (no end)"
            if done.returncode != 0:
                return f"{program}, simt" if preset == "simt" else program
    return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="faults whose file begins with this")
    parser.add_argument("--first", type=int, default=1, help="begin with this fault")
    parser.add_argument("--list", action="store_true", help="check that each fault applies, and stop")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", type=pathlib.Path, help="the scratch copy, kept for the next run")
    options = parser.parse_args()
    faults = [fault for fault in FAULTS if not options.only or fault[0].startswith(options.only)]
    faults = faults[options.first - 1 :]
    wrong = [f"{file}: {old!r} is there {text.count(old)} times" for file, old, _ in faults
             if (text := (ROOT / file).read_text()).count(old) != 1]
    if wrong:
        print("\n".join(wrong))
        return 2
    print(f"{len(faults)} faults in {len({file for file, _, _ in faults})} files")
    if options.list:
        return 0
    with tempfile.TemporaryDirectory(prefix="sheaf-mutants-") as temporary:
        tree = options.keep or pathlib.Path(temporary)
        tree.mkdir(parents=True, exist_ok=True)
        for file in run(["git", "ls-files", "-z"], ROOT, check=True).stdout.rstrip("\0").split("\0"):
            source, copy = ROOT / file, tree / file
            if not copy.exists() or not filecmp.cmp(source, copy, shallow=False):  # what is equal keeps its time
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, copy)
        for preset in ("cpu", "simt"):
            run(["cmake", "--preset", preset, "-DSHEAF_TESTS=ON"], tree, check=True)
        run(["ninja", "-C", "build/cpu", "test_ops", "test_engine", "test_host", "sheaf"], tree, check=True)
        caught, missed, broken = 0, [], []
        for number, (file, old, new) in enumerate(faults, 1):
            since, text = time.monotonic(), (tree / file).read_text()
            (tree / file).write_text(text.replace(old, new))
            seen = sees_it(tree, file, options.jobs)
            (tree / file).write_text(text)
            caught += bool(seen)
            if seen is None:
                broken.append(f"{number:3} {file}: does not compile: {new!r}")
                seen = "no build"
            elif not seen:
                missed.append((file, old, new))
            print(f"{number:3} {time.monotonic() - since:5.0f} s  {seen or 'NOT SEEN':12} {file}: {old[:60]}", flush=True)
    share = (caught + sum((file, old) in NAMED for file, old, _ in missed)) / len(faults)
    for file, old, new in missed:
        print(f"no test sees {file}\n  - {old}\n  + {new}\n  {NAMED.get((file, old), '')}")
    print(*broken, sep="\n", end="\n" if broken else "")
    print(f"{caught} of {len(faults)} caught")
    if broken:
        return 2
    return 0 if share >= CAUGHT_AT_LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
