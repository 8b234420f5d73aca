/tmp/lead/main/--help/userlib/vhmrun/options.o: \
 /tmp/lead/main/userlib/vhmrun/options.c \
 /tmp/lead/main/userlib/vhmrun/options.h \
 /tmp/lead/main/userlib/include/libvhm.h \
 /tmp/lead/main/userlib/../ioctl/uapi/linux/vhm.h \
 /tmp/lead/main/userlib/vhmrun/../devices/acpi.h \
 /tmp/lead/main/userlib/vhmrun/memory_map.h \
 /tmp/lead/main/userlib/vhmrun/message.h
/tmp/lead/main/userlib/vhmrun/options.h:
/tmp/lead/main/userlib/include/libvhm.h:
/tmp/lead/main/userlib/../ioctl/uapi/linux/vhm.h:
/tmp/lead/main/userlib/vhmrun/../devices/acpi.h:
/tmp/lead/main/userlib/vhmrun/memory_map.h:
/tmp/lead/main/userlib/vhmrun/message.h:
