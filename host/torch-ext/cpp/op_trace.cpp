// The operations that libtorch dispatches on one thread, by its own profiling hook.
#include <ATen/record_function.h>

#include <string>

#include "ext.h"

using namespace tandem;

namespace {

struct Trace {
  std::string names;
  std::optional<at::CallbackHandle> handle;

  void stop() {
    if (handle.has_value()) at::removeCallback(*handle);
    handle.reset();
  }
};

thread_local Trace trace;

std::unique_ptr<at::ObserverContext> record(const at::RecordFunction& function) {
  if (!trace.handle.has_value()) return nullptr;  // another thread's backward inherited the callback
  trace.names += function.name();
  const auto inputs = function.inputs();
  if (!inputs.empty() && inputs.back().isBoolList()) {
    trace.names += '[';
    bool first = true;
    for (const bool bit : inputs.back().toBoolList()) {
      trace.names += first ? "" : ",";
      trace.names += bit ? '1' : '0';
      first = false;
    }
    trace.names += ']';
  }
  trace.names += '\n';
  return nullptr;
}

}  // namespace

extern "C" {

char* tandem_ext_trace_start() {
  return guard([] {
    trace.stop();  // left on by a panic
    trace.names.clear();
    trace.handle = at::addThreadLocalCallback(
        at::RecordFunctionCallback(record).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
  });
}

char* tandem_ext_trace_stop(Buffer* names) {
  return guard([&] {
    trace.stop();
    *names = copy_out(trace.names.data(), trace.names.size());
  });
}

}  // extern "C"
