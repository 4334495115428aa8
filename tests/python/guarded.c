/* posix_memalign for libtorch under test: every block ends at a page that nothing may touch, and a freed block is one.
 *
 * What a kernel writes or reads beyond its block is then a segmentation fault at that instruction, and not heap
 * corruption that shows later or never. Sizes are rounded up to the alignment; that rest is filled and looked at when
 * the block is freed. Addresses are never used twice.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, REST = 0xA5 };
#define SPACE (1ull << 42)

/* Before each block: a page of its own, which only the two functions below read. */
struct Header {
  size_t size, rounded, mapped;
};

static char *space, *next;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static size_t up(size_t n, size_t to) { return (n + to - 1) / to * to; }

int posix_memalign(void** out, size_t alignment, size_t size) {
  const size_t rounded = up(size ? size : 1, alignment), mapped = up(rounded, PAGE) + PAGE;
  pthread_mutex_lock(&lock);
  if (space == NULL) {
    space = next = mmap(NULL, SPACE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED) _exit(99);
  }
  char* at = next;
  next += mapped + PAGE;
  pthread_mutex_unlock(&lock);
  if (next > space + SPACE || mprotect(at, mapped, PROT_READ | PROT_WRITE) != 0) return ENOMEM;
  *(struct Header*)at = (struct Header){size, rounded, mapped};
  mprotect(at, PAGE, PROT_READ);
  char* block = at + mapped - rounded;
  memset(block + size, REST, rounded - size);
  *out = block;
  return 0;
}

void free(void* pointer) {
  static void (*original)(void*);
  char* block = pointer;
  if (space == NULL || block < space || block >= space + SPACE) {
    if (original == NULL) original = (void (*)(void*))dlsym(RTLD_NEXT, "free");
    original(pointer);
    return;
  }
  /* The header's page lies before the block's first page. */
  char* page = (char*)((uintptr_t)block / PAGE * PAGE) - PAGE;
  const struct Header header = *(struct Header*)page;
  for (size_t i = header.size; i < header.rounded; ++i) {
    if ((unsigned char)block[i] != REST) {
      static const char text[] = "guarded: written past the end of a block\n";
      if (write(2, text, sizeof text - 1) < 0) _exit(98);
      abort();
    }
  }
  /* Gone, but its addresses stay taken. */
  mmap(page, header.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}
