// Activations whose parameters tch does not pass on.
#include <ATen/ops/elu.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/softplus.h>

#include "ext.h"

using namespace tandem;

extern "C" {

char* tandem_ext_leaky_relu(const at::Tensor* input, double slope, bool in_place, at::Tensor** out) {
  return guard([&] {
    if (in_place) {
      at::Tensor result = *input;
      *out = new at::Tensor(at::leaky_relu_(result, slope));
    } else {
      *out = new at::Tensor(at::leaky_relu(*input, slope));
    }
  });
}

char* tandem_ext_elu(const at::Tensor* input, double alpha, at::Tensor** out) {
  return guard([&] { *out = new at::Tensor(at::elu(*input, alpha)); });
}

char* tandem_ext_softplus(const at::Tensor* input, double threshold, at::Tensor** out) {
  return guard([&] { *out = new at::Tensor(at::softplus(*input, 1, threshold)); });
}

}  // extern "C"
