/tmp/lead/main/--help/userlib/src/insn_integer.o: \
 /tmp/lead/main/userlib/src/insn_integer.c \
 /tmp/lead/main/userlib/src/insn.h /tmp/lead/main/userlib/src/emulate.h \
 /tmp/lead/main/userlib/src/internal.h \
 /tmp/lead/main/userlib/include/libvhm.h \
 /tmp/lead/main/userlib/../ioctl/uapi/linux/vhm.h \
 /tmp/lead/main/userlib/src/alu.h
/tmp/lead/main/userlib/src/insn.h:
/tmp/lead/main/userlib/src/emulate.h:
/tmp/lead/main/userlib/src/internal.h:
/tmp/lead/main/userlib/include/libvhm.h:
/tmp/lead/main/userlib/../ioctl/uapi/linux/vhm.h:
/tmp/lead/main/userlib/src/alu.h:
