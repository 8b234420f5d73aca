/tmp/h-pv/main/--help/userlib/vhmrun/options.o: \
 /tmp/h-pv/main/userlib/vhmrun/options.c \
 /tmp/h-pv/main/userlib/vhmrun/options.h \
 /tmp/h-pv/main/userlib/include/libvhm.h \
 /tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h \
 /tmp/h-pv/main/userlib/vhmrun/../devices/acpi.h \
 /tmp/h-pv/main/userlib/vhmrun/memory_map.h \
 /tmp/h-pv/main/userlib/vhmrun/message.h
/tmp/h-pv/main/userlib/vhmrun/options.h:
/tmp/h-pv/main/userlib/include/libvhm.h:
/tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h:
/tmp/h-pv/main/userlib/vhmrun/../devices/acpi.h:
/tmp/h-pv/main/userlib/vhmrun/memory_map.h:
/tmp/h-pv/main/userlib/vhmrun/message.h:
