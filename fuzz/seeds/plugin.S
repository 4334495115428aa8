// The smallest library that passes for a plugin: `cc -shared -nostdlib -o plugin.so plugin.S`. A seed for `plugin_file`.
    .section .note.tandem, "a", @note
    .balign 4
    .long 7, 2f - 1f, 1
    .asciz "TANDEM"
    .balign 4
1:  .ascii "{\"name\":\"x\",\"summary\":\"s\",\"version\":\"0.1.0\",\"api\":\"1.1.0\",\"licence\":\"MIT\",\"opset\":1}"
    .balign 4, 0x20
2:
    .data
    .globl _1as_0lib_1header_0root_bmodule_bloader
    .type _1as_0lib_1header_0root_bmodule_bloader, @object
    .size _1as_0lib_1header_0root_bmodule_bloader, 64
_1as_0lib_1header_0root_bmodule_bloader:
    .zero 64
