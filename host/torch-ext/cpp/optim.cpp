// Optimiser steps and other updates over lists of tensors, in place, outside autograd.
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_clamp_max.h>
#include <ATen/ops/_foreach_clamp_min.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/aminmax.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>

#include <limits>

#include "ext.h"

using namespace tandem;

namespace {

struct Adam {
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled;
};
struct RmsProp {
  double lr, alpha, eps, weight_decay;
};
struct Sgd {
  double lr, momentum, weight_decay;
  bool nesterov;
};

void check_parallel(const char* name, const std::vector<at::Tensor>& tensors,
                    const std::vector<at::Tensor>& params) {
  TORCH_CHECK(tensors.size() == params.size(), "expected ", params.size(), " ", name, ", one for each parameter, found ",
              tensors.size());
  for (size_t i = 0; i < params.size(); ++i) {
    TORCH_CHECK(tensors[i].sizes() == params[i].sizes() && tensors[i].scalar_type() == params[i].scalar_type() &&
                    tensors[i].device() == params[i].device(),
                name, " ", i, " is ", tensors[i].scalar_type(), " ", tensors[i].sizes(), " on ", tensors[i].device(),
                ", but its parameter is ", params[i].scalar_type(), " ", params[i].sizes(), " on ", params[i].device());
  }
}

// The fused kernels walk raw memory and need one layout for all lists.
void match_layout(std::vector<at::Tensor>& grads, const std::vector<at::Tensor>& params) {
  for (size_t i = 0; i < grads.size(); ++i) {
    if (grads[i].strides() == params[i].strides()) continue;
    auto copy = at::empty_like(params[i]);
    copy.copy_(grads[i]);
    grads[i] = copy;
  }
}

}  // namespace

extern "C" {

char* tandem_ext_fused_adam(Tensors params, Tensors grads, Tensors exp_avgs, Tensors exp_avg_sqs, Tensors steps,
                            const Adam* o) {
  return guard([&] {
    at::NoGradGuard no_grad;
    auto p = list(params), g = list(grads), m = list(exp_avgs), v = list(exp_avg_sqs), t = list(steps);
    check_parallel("gradients", g, p);
    check_parallel("first moments", m, p);
    check_parallel("second moments", v, p);
    TORCH_CHECK(t.size() == p.size(), "expected ", p.size(), " step counters, found ", t.size());
    for (size_t i = 0; i < t.size(); ++i) {
      TORCH_CHECK(t[i].dim() == 0 && t[i].scalar_type() == at::kFloat, "step counter ", i,
                  " must be a 0-dim float32 tensor, found ", t[i].scalar_type(), " ", t[i].sizes());
    }
    if (p.empty()) return;
    match_layout(g, p);
    at::_foreach_add_(t, 1);
    const auto step = [&](auto kernel) {
      kernel(p, g, m, v, std::vector<at::Tensor>(), t, o->lr, o->beta1, o->beta2, o->weight_decay, o->eps,
             /*amsgrad=*/false, /*maximize=*/false, std::nullopt, std::nullopt);
    };
    if (o->decoupled) {
      step([](auto&&... args) { at::_fused_adamw_(args...); });
    } else {
      step([](auto&&... args) { at::_fused_adam_(args...); });
    }
  });
}

char* tandem_ext_rmsprop(Tensors params, Tensors grads, Tensors square_avgs, const RmsProp* o) {
  return guard([&] {
    at::NoGradGuard no_grad;
    auto p = list(params), g = list(grads), v = list(square_avgs);
    check_parallel("gradients", g, p);
    check_parallel("square averages", v, p);
    if (p.empty()) return;
    if (o->weight_decay != 0) g = at::_foreach_add(g, p, o->weight_decay);
    at::_foreach_mul_(v, o->alpha);
    at::_foreach_addcmul_(v, g, g, 1 - o->alpha);
    auto denominators = at::_foreach_sqrt(v);
    at::_foreach_add_(denominators, o->eps);
    at::_foreach_addcdiv_(p, g, denominators, -o->lr);
  });
}

char* tandem_ext_sgd(Tensors params, Tensors grads, Tensors momentum_buffers, bool first_step, const Sgd* o) {
  return guard([&] {
    at::NoGradGuard no_grad;
    auto p = list(params), g = list(grads);
    check_parallel("gradients", g, p);
    TORCH_CHECK(!o->nesterov || o->momentum != 0, "Nesterov's look-ahead needs a momentum");
    std::vector<at::Tensor> buffers;
    if (o->momentum != 0) {
      buffers = list(momentum_buffers);
      check_parallel("momentum buffers", buffers, p);
    }
    if (p.empty()) return;
    match_layout(g, p);
    at::_fused_sgd_(p, g, buffers, o->weight_decay, o->momentum, o->lr, /*dampening=*/0.0, o->nesterov,
                    /*maximize=*/false, first_step);
  });
}

char* tandem_ext_ema_update(Tensors targets, Tensors sources, double decay) {
  return guard([&] {
    at::NoGradGuard no_grad;
    const auto all_targets = list(targets), all_sources = list(sources);
    check_parallel("sources", all_sources, all_targets);
    std::vector<at::Tensor> averaged, towards;
    for (size_t i = 0; i < all_targets.size(); ++i) {
      if (at::isFloatingType(all_targets[i].scalar_type())) {
        averaged.push_back(all_targets[i]);
        towards.push_back(all_sources[i]);
      } else {
        all_targets[i].copy_(all_sources[i]);
      }
    }
    if (!averaged.empty()) at::_foreach_lerp_(averaged, towards, 1 - decay);
  });
}

char* tandem_ext_clamp_all(Tensors tensors, double lo, double hi) {
  return guard([&] {
    at::NoGradGuard no_grad;
    TORCH_CHECK(lo <= hi, "the lower limit ", lo, " is above the upper limit ", hi);
    if (tensors.len == 0) return;
    auto all = list(tensors);
    at::_foreach_clamp_min_(all, lo);
    at::_foreach_clamp_max_(all, hi);
  });
}

char* tandem_ext_all_finite(Tensors tensors, at::Tensor** out) {
  return guard([&] {
    at::NoGradGuard no_grad;
    std::vector<at::Tensor> floats;
    for (const auto& tensor : list(tensors)) {
      if (at::isFloatingType(tensor.scalar_type()) && tensor.numel() > 0) floats.push_back(tensor);
    }
    if (floats.empty()) {
      *out = new at::Tensor(at::ones({}, at::kBool));
      return;
    }
    // Extremes keep NaN and, unlike a sum of squares, cannot overflow. The infinity norm takes few launches on a
    // GPU but is 25 times slower than minimum and maximum on the CPU.
    std::vector<at::Tensor> extremes;
    if (floats[0].is_cpu()) {
      for (const auto& tensor : floats) {
        auto [smallest, largest] = at::aminmax(tensor);
        extremes.push_back(smallest);
        extremes.push_back(largest);
      }
    } else {
      extremes = at::_foreach_norm(floats, std::numeric_limits<double>::infinity());
    }
    *out = new at::Tensor(at::isfinite(at::stack(extremes)).all());
  });
}

}  // extern "C"
