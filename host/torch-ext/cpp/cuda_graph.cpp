// CUDA graphs and device memory, through the add-on that is opened at run time (`cuda/add_on.h`).
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <string>

#include "../cuda/add_on.h"
#include "ext.h"

using namespace tandem;

namespace {

std::atomic<const CudaAddOn*> add_on{nullptr};

const CudaAddOn& opened() {
  const auto* table = add_on.load();
  TORCH_CHECK(table != nullptr, "the CUDA add-on is not open");
  return *table;
}

// A file without a name that holds the add-on, for `dlopen`, which takes files only.
class Image {
 public:
  explicit Image(Slice<uint8_t> bytes) : file_(memfd_create("tandem-cuda", MFD_CLOEXEC)) {
    TORCH_CHECK(file_ >= 0, "memfd_create: ", std::strerror(errno));
    for (size_t written = 0; written < bytes.len;) {
      const auto count = write(file_, bytes.data + written, bytes.len - written);
      TORCH_CHECK(count > 0, "cannot write ", bytes.len, " bytes to memory: ", std::strerror(errno));
      written += static_cast<size_t>(count);
    }
  }
  ~Image() { close(file_); }
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

 private:
  int file_;
};

}  // namespace

extern "C" {

char* tandem_ext_open_cuda_add_on(Slice<uint8_t> bytes) {
  return guard([&] {
    if (add_on.load() != nullptr) return;
    const Image image(bytes);
    void* library = dlopen(image.path().c_str(), RTLD_NOW | RTLD_LOCAL);
    const char* reason = library == nullptr ? dlerror() : nullptr;
    TORCH_CHECK(library != nullptr, "cannot load the CUDA add-on: ", reason == nullptr ? "unknown reason" : reason);
    const auto* table = static_cast<const CudaAddOn*>(dlsym(library, "tandem_cuda_add_on"));
    TORCH_CHECK(table != nullptr, "the CUDA add-on has no `tandem_cuda_add_on`");
    add_on = table;
  });
}

bool tandem_ext_has_cuda_add_on() { return add_on.load() != nullptr; }

void tandem_ext_graph_free(void* graph) {
  if (graph != nullptr) opened().graph_free(graph);
}

char* tandem_ext_graph_new(int64_t device, void** graph) {
  char* failed = nullptr;
  char* missing = guard([&] { failed = opened().graph_new(device, graph); });
  return missing == nullptr ? failed : missing;
}

char* tandem_ext_graph_register(void* const* graph, at::Generator* const* generator) {
  return opened().graph_register(*graph, *generator);
}

char* tandem_ext_graph_begin(void* const* graph, void* const* like) {
  return opened().graph_begin(*graph, like == nullptr ? nullptr : *like);
}
char* tandem_ext_graph_end(void* const* graph) { return opened().graph_end(*graph); }
char* tandem_ext_graph_replay(void* const* graph) { return opened().graph_replay(*graph); }

char* tandem_ext_cuda_peak_bytes(int64_t device, uint64_t* bytes) {
  char* failed = nullptr;
  char* missing = guard([&] { failed = opened().peak_bytes(device, bytes); });
  return missing == nullptr ? failed : missing;
}

}  // extern "C"
