/tmp/lead/main/--help/userlib/src/vcpu.o: \
 /tmp/lead/main/userlib/src/vcpu.c /tmp/lead/main/userlib/src/internal.h \
 /tmp/lead/main/userlib/include/libvhm.h \
 /tmp/lead/main/userlib/../ioctl/uapi/linux/vhm.h
/tmp/lead/main/userlib/src/internal.h:
/tmp/lead/main/userlib/include/libvhm.h:
/tmp/lead/main/userlib/../ioctl/uapi/linux/vhm.h:
