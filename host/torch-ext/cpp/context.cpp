// State of the process: random generators, deterministic algorithms, memory, and the CUDA libraries.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/core/Generator.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/empty.h>
#include <dlfcn.h>
#include <malloc.h>
#include <unistd.h>

#include <exception>
#include <limits>
#include <mutex>
#include <new>
#include <string>
#include <typeinfo>

#include "ext.h"

using namespace tandem;

namespace {

const at::Generator& default_generator(int64_t device) {
  if (device < 0) return at::detail::getDefaultCPUGenerator();
  return at::globalContext().defaultGenerator(at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(device)));
}

// Calls on a generator's own state must hold its lock; filling a tensor takes it itself.
std::lock_guard<std::mutex> lock(at::Generator& generator) {
  return std::lock_guard<std::mutex>(generator.mutex());
}

// What is said where an exception for want of memory can go nowhere: out of a thread, or a destructor.
std::string& bad_alloc_text() {
  static std::string text;
  return text;
}

[[noreturn]] void terminated() {
  try {
    if (const auto thrown = std::current_exception()) std::rethrow_exception(thrown);
  } catch (const std::bad_alloc&) {
    const auto& text = bad_alloc_text();
    if (write(2, text.data(), text.size()) < 0) _exit(1);
    _exit(1);
  } catch (const std::exception& error) {
    if (write(2, error.what(), std::strlen(error.what())) < 0) std::abort();
  } catch (...) {
  }
  std::abort();
}

}  // namespace

extern "C" {

void tandem_ext_generator_free(at::Generator* generator) { delete generator; }

char* tandem_ext_generator_new(int64_t device, uint64_t seed, at::Generator** out) {
  return guard([&] {
    if (device < 0) {
      *out = new at::Generator(at::detail::createCPUGenerator(seed));
      return;
    }
    // The header of CUDA's own constructor needs the CUDA toolkit; a clone of the default one does not.
    auto generator = default_generator(device).clone();
    generator.set_current_seed(seed);
    *out = new at::Generator(std::move(generator));
  });
}

char* tandem_ext_generator_default(int64_t device, at::Generator** out) {
  return guard([&] { *out = new at::Generator(default_generator(device)); });
}

char* tandem_ext_generator_seed(at::Generator* const* generator, uint64_t seed) {
  return guard([&] {
    const auto held = lock(**generator);
    (*generator)->set_current_seed(seed);
  });
}

char* tandem_ext_generator_state(at::Generator* const* generator, Buffer* state) {
  return guard([&] {
    const auto held = lock(**generator);
    const auto bytes = (*generator)->get_state().contiguous();
    *state = copy_out(bytes.data_ptr(), bytes.nbytes());
  });
}

char* tandem_ext_generator_set_state(at::Generator* const* generator, Slice<uint8_t> state) {
  return guard([&] {
    auto bytes = at::empty({static_cast<int64_t>(state.len)}, at::kByte);
    if (state.len > 0) std::memcpy(bytes.data_ptr(), state.data, state.len);
    const auto held = lock(**generator);
    (*generator)->set_state(bytes);
  });
}

char* tandem_ext_generator_normal(at::Generator* const* generator, const at::Tensor* tensor, double mean, double std) {
  return guard([&] {
    at::NoGradGuard no_grad;
    at::Tensor(*tensor).normal_(mean, std, **generator);
  });
}

char* tandem_ext_generator_uniform(at::Generator* const* generator, const at::Tensor* tensor, double low,
                                   double high) {
  return guard([&] {
    at::NoGradGuard no_grad;
    at::Tensor(*tensor).uniform_(low, high, **generator);
  });
}

char* tandem_ext_generator_randint(at::Generator* const* generator, const at::Tensor* tensor, int64_t low,
                                   int64_t high) {
  return guard([&] {
    at::NoGradGuard no_grad;
    at::Tensor(*tensor).random_(low, high, **generator);
  });
}

char* tandem_ext_use_deterministic(bool on) {
  return guard([&] {
    // cuBLAS reads it when it starts; libtorch refuses deterministic products without it.
    if (on) setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
    auto& context = at::globalContext();
    context.setDeterministicAlgorithms(on, /*warn_only=*/false);
    context.setDeterministicCuDNN(on);
    // Filling fresh memory guards against reading it unset, which costs a pass over every tensor.
    context.setDeterministicFillUninitializedMemory(false);
  });
}

char* tandem_ext_keep_freed_memory() {
  return guard([] {
#ifdef __GLIBC__
    // A tensor of a few MB is a mapping of its own by default, given back when freed: every step then faults in
    // every page of every activation anew.
    const bool kept = mallopt(M_MMAP_MAX, 0) != 0 && mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max()) != 0;
    TORCH_CHECK(kept, "the C library refused mallopt");
#endif
  });
}

char* tandem_ext_tell_bad_alloc(Slice<uint8_t> text) {
  return guard([&] {
    bad_alloc_text().assign(text.begin(), text.end());
    std::set_terminate(terminated);
  });
}

void tandem_ext_return_freed_memory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

char* tandem_ext_library_path(Buffer* path) {
  return guard([&] {
    Dl_info info;
    const auto symbol = reinterpret_cast<const void*>(&at::globalContext);
    TORCH_CHECK(dladdr(symbol, &info) != 0 && info.dli_fname != nullptr, "cannot tell where libtorch was loaded from");
    *path = copy_out(info.dli_fname, std::strlen(info.dli_fname));
  });
}

char* tandem_ext_open_library(Slice<uint8_t> path) {
  return guard([&] {
    const std::string file(path.begin(), path.end());
    // Global, since libtorch's parts find one another's symbols that way.
    if (dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
      const char* reason = dlerror();
      TORCH_CHECK(false, "cannot load ", file, ": ", reason == nullptr ? "unknown reason" : reason);
    }
  });
}

char* tandem_ext_has_cuda_hooks(bool* answer) {
  return guard([&] {
    // libtorch keeps the first answer: its own stub if it was asked before the libraries were there.
    const auto& hooks = at::detail::getCUDAHooks();
    *answer = typeid(hooks) != typeid(at::CUDAHooksInterface);
  });
}

}  // extern "C"
